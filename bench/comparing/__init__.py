"""What bench/compare is made of. See bench/README.md."""
