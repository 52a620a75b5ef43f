"""Other programs: started, talked to through pipes, waited for and ended."""
