from .beyond import beyond
