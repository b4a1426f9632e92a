"""The configuration runner: applies Ansible roles to hosts for Hostler."""
