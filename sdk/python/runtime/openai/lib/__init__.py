"""Where OpenAI's client keeps its Azure form."""
