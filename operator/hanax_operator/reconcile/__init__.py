"""One path for every cause: parse, observe, plan, apply, status. Each step may be repeated."""
