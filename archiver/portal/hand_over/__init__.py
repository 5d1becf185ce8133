"""Ways of handing a sign-in over to a person: a page with the live browser, a code typed at a terminal, a window."""
