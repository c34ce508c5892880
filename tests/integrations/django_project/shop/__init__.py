"""An app whose models are tracked."""
