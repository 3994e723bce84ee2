"""What `inv doctor` looks for, a module for each kind of trouble. Each `find` reads only and yields findings."""
