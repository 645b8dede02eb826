"""Training: objective, optimizer, schedule, previews, and the loop that reads like the method."""
