"""Law as dated data: rule packs, their resolution and evaluation."""
