/* SPDX-License-Identifier: BSD-2-Clause */
/* The option that says what network there is. */
#include <arpa/inet.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/options.h"

static const uint8_t default_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

static int parse_model(const char *s, struct config_net *c)
{
	if (strcmp(s, "virtio-net-pci") == 0 || strcmp(s, "virtio") == 0)
		c->model = NIC_VIRTIO;
	else if (strcmp(s, "ne2k_pci") == 0)
		c->model = NIC_NE2K_PCI;
	else
		return usage_error("--net: model=%s: unknown; say virtio-net-pci or ne2k_pci", s);
	return OPTIONS_RUN;
}

static int parse_mac(const char *s, struct config_net *c)
{
	unsigned b[6];
	char end;

	if (strlen(s) != 17 || sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4],
				      &b[5], &end) != 6)
		return usage_error("--net: mac=%s: no address; say for instance 52:54:00:12:34:56", s);
	if (b[0] & 1)
		return usage_error("--net: mac=%s: a group's address; the first byte must be even", s);
	for (unsigned i = 0; i < 6; i++)
		c->mac[i] = (uint8_t)b[i];
	return OPTIONS_RUN;
}

static int parse_restrict(const char *s, struct config_net *c)
{
	c->restricted = strcmp(s, "on") == 0 || strcmp(s, "yes") == 0;
	if (c->restricted || strcmp(s, "off") == 0 || strcmp(s, "no") == 0)
		return OPTIONS_RUN;
	return usage_error("--net: restrict=%s: say on or off", s);
}

/* "[ADDRESS]:PORT"; *address stays what it is if none is said. */
static bool parse_end(const char *s, uint32_t *address, uint16_t *port)
{
	const char *colon = strrchr(s, ':');
	char text[INET_ADDRSTRLEN];
	struct in_addr a;
	unsigned n = 0;

	if (!colon || !colon[1] || (size_t)(colon - s) >= sizeof(text))
		return false;
	if (colon > s) {
		memcpy(text, s, (size_t)(colon - s));
		text[colon - s] = '\0';
		if (inet_pton(AF_INET, text, &a) != 1)
			return false;
		*address = ntohl(a.s_addr);
	}
	for (const char *p = colon + 1; *p; p++) {
		if (!g_ascii_isdigit(*p) || n > 65535)
			return false;
		n = n * 10 + (unsigned)(*p - '0');
	}
	*port = (uint16_t)n;
	return n && n <= 65535;
}

/* "tcp|udp:[ADDRESS]:PORT-[ADDRESS]:PORT", the host's and the guest's. */
static int parse_forward(const char *s, struct config_net *c)
{
	struct config_forward f = { .udp = strncmp(s, "udp:", 4) == 0, .host = INADDR_LOOPBACK };
	const char *minus = strchr(s, '-');
	char *host = minus && minus - s >= 4 ? g_strndup(s + 4, (gsize)(minus - s) - 4) : NULL;
	bool good = host && (f.udp || strncmp(s, "tcp:", 4) == 0) &&
		    parse_end(host, &f.host, &f.host_port) &&
		    parse_end(minus + 1, &f.guest, &f.guest_port);

	g_free(host);
	if (!good)
		return usage_error("--net: hostfwd=%s: say tcp or udp, the host's and the guest's end, for "
				   "instance tcp:127.0.0.1:2222-:22", s);
	if (c->nforwards == CONFIG_FORWARDS)
		return usage_error("--net: more than %u times hostfwd", CONFIG_FORWARDS);
	c->forwards[c->nforwards++] = f;
	return OPTIONS_RUN;
}

static const struct {
	const char *key;
	int (*parse)(const char *s, struct config_net *c);
} keys[] = {
	{ "model=", parse_model }, { "mac=", parse_mac }, { "restrict=", parse_restrict },
	{ "hostfwd=", parse_forward },
};

static int parse_word(const char *word, struct config_net *c)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++)
		if (g_str_has_prefix(word, keys[i].key))
			return keys[i].parse(word + strlen(keys[i].key), c);
	return usage_error("--net: '%s' is unknown; say model=, mac=, hostfwd= or restrict=", word);
}

int options_net(struct options *o)
{
	struct config_net *c = &o->config.net;
	int r = OPTIONS_RUN;
	char **words;

	if (!o->text.net || strcmp(o->text.net, "none") == 0)
		return OPTIONS_RUN;
	words = g_strsplit(o->text.net, ",", -1);
	memcpy(c->mac, default_mac, sizeof(c->mac));
	c->model = NIC_VIRTIO;
	if (!words[0] || strcmp(words[0], "user") != 0)
		r = usage_error("--net=%s: unknown; say user[,model=virtio-net-pci|ne2k_pci][,hostfwd=...]"
				"[,restrict=on][,mac=...] or none", o->text.net);
	for (unsigned i = 1; r == OPTIONS_RUN && words[i]; i++)
		r = parse_word(words[i], c);
	g_strfreev(words);
#ifndef HAVE_SLIRP
	if (r == OPTIONS_RUN)
		r = usage_error("--net=user: not in this build, for want of libslirp (package libslirp-dev)");
#endif
	return r;
}
