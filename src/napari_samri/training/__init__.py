"""Fine-tuning of the mask decoder on cached embeddings."""
