"""A plan in the words of other tools, so that nobody depends on the studio: PEFT, a plain script, Unsloth, YAML."""
