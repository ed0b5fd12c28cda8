"""Cloud DNS: zones and the record sets in them; no name is answered."""
