"""The page, and the two places where it is shown: a tab of the WebUI, and a page of our own."""
