"""The chat server. See lesson 12.

    python -m utils.serving                 # then open the address that it prints

What a request goes through, file by file:

    app.py          the web application: which address does what
    access.py       which hosts and which web pages may use the server
    schemas.py      what a request may contain
    validation.py   checks a request against its schema
    openapi.py      publishes the schemas
    problems.py     errors as answers
    completions.py  from a request to the engine
    prompts.py      from a text or a chat to the ids that the model continues
    engine.py       the queue, and the one thread that owns the model
    batching.py     the compiled step for several texts at once
    adapted.py      an adapter as a model of its own, on an engine that it shares
    int8_batch.py   the same with a model that is not compiled, such as SmolLM2 in int8
    published.py    SmolLM2, made ready to serve
    int8_gpt2.py    a GPT-2 in int8, made ready to serve
    memory.py       how long a text may be, where its cache is large
    answers.py      from ids to an answer, whole or as a stream
    server.py       sockets, signals, graceful shutdown
    page.html       the chat page
    documents.py    the page of a folder of documents, documents.html
"""
