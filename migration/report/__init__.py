"""The report: results in, one HTML file (or Markdown, or a folder of evidence) out."""
