"""What is controlled at run time: feature flags, pauses and human take-overs; and the notices to the business."""
