# pricing/local.mk
