"""The endpoints, one module for each kind of resource. Stage transitions are decided by the store, not here."""
