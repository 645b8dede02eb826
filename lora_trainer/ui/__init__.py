"""The tab: a form from the settings, the routes that tell how a run goes, and our own page around them."""
