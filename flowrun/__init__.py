"""flowrun: repeatable productions for the Runway API."""
