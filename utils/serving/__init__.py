"""The chat server. See lesson 12.

    python -m utils.serving                 # then open the address that it prints

What a request goes through, file by file:

    app.py       the web application: addresses, requests, answers
    schemas.py   what a request may contain, and the OpenAPI description of all of it
    problems.py  what can be wrong, as an answer
    prompts.py   from a text or a chat to the ids that the model continues
    engine.py    the queue, and the one thread that owns the model
    batching.py  the compiled step for several texts at once
    server.py    sockets, signals, the end
    page.html    the chat page
"""
