// Starts Swagger UI; kept apart from the page, because the content security policy allows no inline scripts.
window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger",
  deepLinking: true,
  persistAuthorization: true,
  docExpansion: "list",
  validatorUrl: null,
});
