// SPDX-License-Identifier: Apache-2.0
/*
 * tls_ocsp.c: what a provider's server staples about its own certificate (RFC 6066 8, RFC 6960). Nothing is fetched: a
 * certificate without a stapled answer is as good as it was, unless it says itself that one must come (RFC 7633).
 * Looked at after the chain was verified, and not for resumed connections, which show no certificate.
 */
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "wire/tls_inside.h"

#define SKEW_S 300
/* An answer without nextUpdate says "there is always a newer one": for how long we believe it all the same. */
#define UNDATED_S 86400
#define STATUS_REQUEST 5 /* the feature that we offer, of those that a certificate can ask for */

enum staple {
	STAPLE_GOOD,
	STAPLE_NOTHING, /* also an unsigned "try later", which Apache puts in by itself */
	STAPLE_MALFORMED,
	STAPLE_FORGED,
	STAPLE_OF_ANOTHER,
	STAPLE_OLD,
	STAPLE_REVOKED,
	STAPLE_UNKNOWN,
	STAPLE_NO_MEMORY,
	STAPLE_COUNT,
};

static const char *const words[STAPLE_COUNT] = {
	[STAPLE_NOTHING] = "the certificate says that an OCSP response has to be stapled to it (must-staple), and none came",
	[STAPLE_MALFORMED] = "the stapled OCSP response is malformed",
	[STAPLE_FORGED] = "the stapled OCSP response is not signed by the certificate's issuer or for it",
	[STAPLE_OF_ANOTHER] = "the stapled OCSP response is about another certificate",
	[STAPLE_OLD] = "the stapled OCSP response is of another time (too old or not yet valid); is this machine's clock right?",
	[STAPLE_REVOKED] = "the certificate is revoked, says the stapled OCSP response",
	[STAPLE_UNKNOWN] = "the issuer does not know the certificate, says the stapled OCSP response",
	[STAPLE_NO_MEMORY] = "no memory to look at the stapled OCSP response",
};

/* A feature list that cannot be read may ask for anything: yes. */
static bool must_staple(const X509 *leaf)
{
	int critical = 0;
	TLS_FEATURE *f = X509_get_ext_d2i(leaf, NID_tlsfeature, &critical, NULL);
	bool must = !f && critical != -1;

	for (int i = 0; f && i < sk_ASN1_INTEGER_num(f); i++)
		must |= ASN1_INTEGER_get(sk_ASN1_INTEGER_value(f, i)) == STATUS_REQUEST;
	TLS_FEATURE_free(f);
	return must;
}

/* Collisions are cheap with these; OCSP_basic_verify does not look. */
static bool is_weakly_signed(const OCSP_BASICRESP *basic)
{
	int md = NID_undef;

	if (!OBJ_find_sigid_algs(OBJ_obj2nid(OCSP_resp_get0_tbs_sigalg(basic)->algorithm), &md, NULL))
		return true;
	return md == NID_md5 || md == NID_sha1;
}

/* Signed by the issuer itself, or by one whom exactly this issuer appointed (RFC 6960 4.2.2.2). The issuer was verified with
 * the chain, so it is the only one trusted here: a responder of another CA that we also trust does not count. */
static bool is_signed_for(OCSP_BASICRESP *basic, X509 *issuer)
{
	X509_STORE *only = X509_STORE_new();
	bool ok = false;

	if (only && X509_STORE_add_cert(only, issuer) && X509_STORE_set_flags(only, X509_V_FLAG_PARTIAL_CHAIN)) {
		STACK_OF(X509) *issuers = sk_X509_new_null();
		X509_VERIFY_PARAM_set_auth_level(X509_STORE_get0_param(only), 2);
		ok = issuers && sk_X509_push(issuers, issuer) > 0 && !is_weakly_signed(basic) &&
		     OCSP_basic_verify(basic, issuers, only, 0) == 1;
		sk_X509_free(issuers);
	}
	X509_STORE_free(only);
	return ok;
}

static bool is_about(OCSP_SINGLERESP *single, const X509 *leaf, const X509 *issuer)
{
	const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(single);
	ASN1_OBJECT *digest = NULL;

	if (!OCSP_id_get0_info(NULL, &digest, NULL, NULL, (OCSP_CERTID *)id) || !EVP_get_digestbyobj(digest))
		return false;
	OCSP_CERTID *ours = OCSP_cert_to_id(EVP_get_digestbyobj(digest), leaf, issuer);
	bool same = ours && !OCSP_id_cmp(ours, (OCSP_CERTID *)id);

	OCSP_CERTID_free(ours);
	return same;
}

static enum staple judge_single(OCSP_SINGLERESP *single)
{
	ASN1_GENERALIZEDTIME *this_update, *next_update;
	int status = OCSP_single_get0_status(single, NULL, NULL, &this_update, &next_update);

	/* Revoked stays revoked, however old the news is. */
	if (status == V_OCSP_CERTSTATUS_REVOKED)
		return STAPLE_REVOKED;
	if (!OCSP_check_validity(this_update, next_update, SKEW_S, next_update ? -1 : UNDATED_S))
		return STAPLE_OLD;
	return status == V_OCSP_CERTSTATUS_GOOD ? STAPLE_GOOD : STAPLE_UNKNOWN;
}

/* All that it says about this certificate has to be good. */
static enum staple judge_all(OCSP_BASICRESP *basic, const X509 *leaf, const X509 *issuer)
{
	enum staple verdict = STAPLE_OF_ANOTHER;

	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
		if (!is_about(single, leaf, issuer))
			continue;
		verdict = judge_single(single);
		if (verdict != STAPLE_GOOD)
			break;
	}
	return verdict;
}

static enum staple judge(const unsigned char *der, long n, const X509 *leaf, X509 *issuer)
{
	const unsigned char *end = der;
	OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &end, n);
	enum staple verdict = STAPLE_MALFORMED;

	if (response && end == der + n && OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
		verdict = STAPLE_NOTHING;
	} else if (response && end == der + n) {
		OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
		if (basic)
			verdict = is_signed_for(basic, issuer) ? judge_all(basic, leaf, issuer) : STAPLE_FORGED;
		OCSP_BASICRESP_free(basic);
	}
	OCSP_RESPONSE_free(response);
	return verdict;
}

/* 1 = go on, 0 = refused with the alert for a bad status. */
static int check_staple(SSL *ssl, void *arg)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	const unsigned char *der;
	enum staple verdict = STAPLE_NOTHING;

	(void)arg;
	if (SSL_session_reused(ssl))
		return 1;
	X509 *leaf = chain ? sk_X509_value(chain, 0) : NULL;
	/* One that is trusted as it is issued itself. */
	X509 *issuer = chain && sk_X509_num(chain) > 1 ? sk_X509_value(chain, 1) : leaf;
	long n = SSL_get_tlsext_status_ocsp_resp(ssl, &der);

	if (!leaf)
		verdict = STAPLE_NO_MEMORY;
	else if (n > 0)
		verdict = judge(der, n, leaf, issuer);
	if (verdict == STAPLE_GOOD || (verdict == STAPLE_NOTHING && !must_staple(leaf)))
		return 1;
	tls_note_refusal(tls_of(ssl), words[verdict]);
	return 0;
}

bool tls_ask_for_staples(struct ssl_ctx_st *s)
{
	return SSL_CTX_set_tlsext_status_type(s, TLSEXT_STATUSTYPE_ocsp) && SSL_CTX_set_tlsext_status_cb(s, check_staple);
}
