# engine/local.mk
