"""Everything but the page: models, plans, data, training, jobs, adapters. No gradio and no plotly below here."""
