/*
 * Prometheus' text format, version 0.0.4: a family (its help and type), then its samples. Whoever calls keeps
 * the samples of a family together.
 */
#ifndef SERVER_PROM_H
#define SERVER_PROM_H

#include "base/histogram.h"
#include "base/str.h"

#define PROM_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* type: "counter", "gauge" or "histogram". */
void prom_family(struct strbuf *out, const char *name, const char *type, const char *help);

/* Adds name="value" to labels. Value may hold any bytes; those that are no UTF-8, and zeros, become
 * U+FFFD. */
void prom_label(struct strbuf *labels, const char *name, struct str value);

/* labels: as prom_label made them; empty: none. */
void prom_sample(struct strbuf *out, const char *name, const struct strbuf *labels, double value);

/* Its buckets, sum and count. */
void prom_histogram(struct strbuf *out, const char *name, const struct strbuf *labels,
		    const struct histogram *h);

#endif
