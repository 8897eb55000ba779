"""The API: the door for programs and for the pictures that the page shows. Knows neither the page nor gradio."""
