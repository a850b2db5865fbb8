//! `/rest/v1` of the server: its own tokens and API keys, the engine behind them.

