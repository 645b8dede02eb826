"""What a run would take: steps, time, memory and disk on this machine, and what is unusual about its settings."""
