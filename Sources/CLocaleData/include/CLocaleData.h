// Nothing to call: being linked is all that this does.
