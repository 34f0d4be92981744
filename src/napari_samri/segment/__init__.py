"""From prompts to masks: the predictor, its answers, and labels of whole volumes."""
