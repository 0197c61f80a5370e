"""The web page, the HTTP API and the review page: a small server beside a live station."""
