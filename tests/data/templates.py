"""Chat templates that treat turns, pictures and system prompts as the published ones of their families do."""

from __future__ import annotations

LLAVA_TEMPLATE = (  # as llava-hf/llava-1.5-7b-hf: no BOS, and nothing ends the assistant's turn
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' ' }}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
QWEN_TEMPLATE = (  # as Qwen/Qwen2-VL-2B-Instruct, without the system turn
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}"
    "{{ message['content'] }}{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKING_TEMPLATE = QWEN_TEMPLATE.replace(  # asks for an answer in another way than it writes one
    "<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\n<think>\n\n</think>\n\n{% endif %}"
)
INTERNVL_TEMPLATE = QWEN_TEMPLATE.replace("<|vision_start|><|image_pad|><|vision_end|>", "<IMG_CONTEXT>\n")
GEMMA_TEMPLATE = (  # as google/gemma-3-4b-it: BOS in the template, turns end with their own token
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'][0]['text'] + "
    "'\n\n' %}{% set turns = messages[1:] %}{% else %}{% set first = '' %}{% set turns = messages %}{% endif %}"
    "{% for message in turns %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else "
    "message['role'] %}<start_of_turn>{{ role }}\n{{ first if loop.first else '' }}"
    "{% for content in message['content'] %}{% if content['type'] == "
    "'image' %}<start_of_image>{% else %}{{ content['text'] | trim }}{% endif %}{% endfor %}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MLLAMA_TEMPLATE = (  # as meta-llama/Llama-3.2-11B-Vision-Instruct: pictures and a system turn exclude each other
    "{{ bos_token }}{% for message in messages %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' and messages[0]['role'] == 'system' %}"
    "{{ raise_exception('Prompting with images is incompatible with system messages.') }}{% endif %}{% endfor %}"
    "<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}<|image|>{% else %}"
    "{{ content['text'] }}{% endif %}{% endfor %}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
PALIGEMMA_TEMPLATE = (  # ours: the published ones bring none, and expect nothing but the question
    "{% for message in messages %}{% if message['role'] == 'user' %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}<image>{% else %}{{ content['text'] }}{% endif %}{% endfor %}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'][0]['text'] }}<eos>{% endif %}{% endfor %}"
)
