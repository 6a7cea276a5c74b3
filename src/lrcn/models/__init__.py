"""The networks: CNN backbones, the stacked LSTM, and the models built from them."""
