# The contracts, compiled into the programs so that a schema is never missing at run time.
SCHEMAS = $(sort $(wildcard $(srcdir)/schemas/*.schema.json))
EXTRA_DIST += schemas/bundle.sh schemas/bundled.h
schemasdir = $(pkgdatadir)/schemas
dist_schemas_DATA = $(SCHEMAS)
schemas/schemas_bundled.c: $(SCHEMAS) schemas/bundle.sh
	$(AM_V_GEN)mkdir -p schemas && sh $(srcdir)/schemas/bundle.sh $(SCHEMAS) > $@.tmp && mv $@.tmp $@
CLEANFILES += schemas/schemas_bundled.c
