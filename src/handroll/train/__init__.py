"""Training of the motion models: one loop, and what each model is trained on."""
