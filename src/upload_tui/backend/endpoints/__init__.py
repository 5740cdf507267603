"""The endpoints, one module for each kind of resource. They decide nothing about stages: the tables' own conditions do."""
