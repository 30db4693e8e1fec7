# --- Compose: the whole service in containers. Included by the Makefile. ---------------------------
# ENV_FILE=… names other settings, WEB=2 starts two web containers, DEV=1 adds docker-compose.dev.yml,
# SPARK=1 docker/compose.spark.yml.
ENV_FILE ?= .env
WEB ?= 1
DOCKER_COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
compose_files = -f docker-compose.yml $(if $(DEV),-f docker-compose.dev.yml) \
	$(if $(SPARK),-f docker/compose.spark.yml) \
	$(if $(wildcard certs/fullchain.pem),-f docker/compose.tls.yml)
compose = $(DOCKER_COMPOSE) --env-file $(ENV_FILE) $(compose_files)

.PHONY: env build up down restart status logs health shell dbshell migrate backup restore test-image smoke

$(ENV_FILE):
	@docker/env $(ENV_FILE)

env: ## write .env with random secrets (never over an existing one)
	@docker/env $(ENV_FILE)

build: $(ENV_FILE) ## build the images
	$(compose) build migrate nginx database $(if $(SPARK),worker)

up: build ## start the compose stack (WEB=2: two web containers; DEV=1: source mounted, ports on loopback)
	$(compose) up -d --remove-orphans --scale web=$(WEB)
	@echo "Serving on port $$(sed -n 's/^HTTP_PORT=//p' $(ENV_FILE)). The first admin: make logs S=migrate"

down: $(ENV_FILE) ## stop the compose stack; its data stays (DELETE_DATA=yes: it goes, too)
	$(compose) down --remove-orphans $(if $(filter yes,$(DELETE_DATA)),--volumes)

restart: $(ENV_FILE) ## restart the service's processes (S=worker: only that one)
	$(compose) restart $(or $(S),web worker scheduler nginx)

status: $(ENV_FILE) ## show the containers and their health
	$(compose) ps -a

logs: $(ENV_FILE) ## follow the logs (S=web: only that one)
	$(compose) logs --tail $(or $(TAIL),200) $(if $(NOFOLLOW),,-f) $(S)

health: $(ENV_FILE) ## ask every part whether it is well; fails if one is not
	@COMPOSE="$(compose)" docker/health

shell: $(ENV_FILE) ## a shell in the web container
	$(compose) exec web sh

dbshell: $(ENV_FILE) ## psql on the service's database, as its role
	$(compose) exec database psql -U indicators indicators

migrate: $(ENV_FILE) ## bring the database to the newest schema
	$(compose) run --rm migrate

backup: $(ENV_FILE) ## save database and files to backups/<time>.tar
	@COMPOSE="$(compose)" docker/backup $(BACKUPS)

restore: $(ENV_FILE) ## put a backup in place of what is there (FILE=backups/….tar)
	@COMPOSE="$(compose)" WEB=$(WEB) docker/restore "$(FILE)"

test-image: ## build the image's test target and run the test suite in it
	docker build -t indicators-test:local -f docker/Dockerfile --target test .
	docker run --rm --init --shm-size 256m --cap-drop ALL --security-opt no-new-privileges indicators-test:local

smoke: ## bring the whole stack up, use it, break it, back it up, restore it, take it down
	@scripts/bootstrap dev
	@docker/smoke
