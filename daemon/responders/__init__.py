"""The AI side: each module is one kind of responder, all behind `actors.ports.Responder`."""
