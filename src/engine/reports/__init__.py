"""Reports: rules with files give rows, uncomputable cells and unmatched keys, in many formats."""
