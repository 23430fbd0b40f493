"""Notes on prompts, which the host makes by itself where it renders them."""


def enrich_prompt_template(template, variables):
    return None
