"""The whole cloud in one process: API, functions, queues, streams, workflows and time over moto.

It knows CloudFormation templates and Chalice apps and nothing of the project they belong to.
"""
