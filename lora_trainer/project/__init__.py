"""What the tab works on: projects with their images, their history, and the work that goes on in the background."""
