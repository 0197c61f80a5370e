"""The networks, in torch: layers that stream, architectures, export."""
