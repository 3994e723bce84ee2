"""What the criteria are judged by: measurements out of logs, provider and answers, and the statistics over them."""
