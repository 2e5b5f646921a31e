"""What the contexts of Tradepost share: the kernel, the published contracts, the platform."""
