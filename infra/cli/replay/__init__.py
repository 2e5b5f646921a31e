"""`tradepost replay`: a real retailer's order history, played through the shop and added up."""
