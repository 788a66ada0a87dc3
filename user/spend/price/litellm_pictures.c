// SPDX-License-Identifier: Apache-2.0
/*
 * price/litellm_pictures.c: pictures in LiteLLM's file: each quality and size of a model is an entry of its own there, by a name that
 * holds both, priced by the picture or by the pixel.
 */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "spend/price/litellm.h"

/* "…/1024-x-1024/…" in a name -> pixels; 0 = none. */
static int64_t pixels_in(struct str name, struct str *ret_size)
{
	struct str rest = name;

	for (bool more = true; more;) {
		struct str part = str_cut(&rest, '/'), tail = part, side = str_cut(&tail, 'x');
		int64_t a, b;

		more = part.p + part.n < name.p + name.n;
		if (side.n > 1 && side.p[side.n - 1] == '-' && tail.n > 1 && tail.p[0] == '-') {
			side.n--;
			tail = (struct str){ .p = tail.p + 1, .n = tail.n - 1 };
		}
		if (side.n < part.n && str_to_i64(side, &a) == 0 && str_to_i64(tail, &b) == 0 && a > 0 && b > 0 && a < 100000 && b < 100000) {
			*ret_size = part;
			return a * b;
		}
	}
	return 0;
}

int lite_take_pixels(struct lite *l, struct str key, const struct pj_value *v)
{
	struct str size;
	int64_t pixels = pixels_in(str_of(l->im->model), &size);
	femtousd price = PRICE_UNKNOWN;
	int r;

	if (!pixels || !lite_makes_images(l))
		return lite_not_mapped(l, key);
	r = import_price(l->im, key, v, pixels, 0, IMPORT_FEE_MAX, &price);
	*(key.p[0] == 'i' ? &l->pixel_read : &l->pixel) = lite_up_to_thousand(price);
	return r;
}

/* A picture's name there is [PROVIDER/][QUALITY/][SIZE/][STEPS/]MODEL. */
int lite_put_image(struct lite *l)
{
	struct price_image *image = arena_alloc(l->im->arena, sizeof(*image));
	struct str size = STR(""), name = str_of(l->p.model), quality = STR("");
	/* A price of pixels that come in, and none of those that go out, is what a picture made costs. Both: what comes in has no counter of ours. */
	femtousd each = lite_larger(l->image, l->pixel > 0 ? l->pixel : lite_larger(l->pixel, l->pixel_read));

	if (l->pixel > 0 && l->pixel_read > 0 && lite_not_mapped(l, STR("input_cost_per_pixel")) < 0)
		return -ENOMEM;

	if (!image)
		return import_no_memory(l->im);
	if (pixels_in(name, &size)) {
		size_t before = (size_t)(size.p - name.p), after = before + size.n;
		struct str steps = { .p = name.p + after + 1, .n = name.n > after ? name.n - after - 1 : 0 }, rest = steps;
		struct str first = str_cut(&rest, '/');

		quality = before > 1 ? (struct str){ .p = name.p, .n = before - 1 } : quality;
		if (str_ends(first, STR("-steps"))) {
			quality = first;
			steps = rest;
		}
		name = steps;
	}
	if (each == PRICE_UNKNOWN)
		return 0;
	char text[32];
	size_t n = 0;

	for (size_t i = 0; i < size.n && n < sizeof(text); i++)
		if (size.p[i] != '-')
			text[n++] = size.p[i];
	image->quality = import_text(l->im, quality);
	image->size = import_text(l->im, (struct str){ .p = text, .n = n });
	image->each = each;
	l->p.model = import_text(l->im, name);
	l->p.images = image;
	l->p.nimages = 1;
	return image->quality && image->size && l->p.model ? 0 : import_no_memory(l->im);
}

int lite_join_image(struct lite *l, struct import_entry *to)
{
	size_t n = to->price.nimages;
	struct price_image *all = arena_alloc(l->im->arena, (n + 1) * sizeof(*all));

	if (!all)
		return import_no_memory(l->im);
	if (n)
		memcpy(all, to->price.images, n * sizeof(*all));
	for (size_t i = 0; i < n; i++)
		if (!strcmp(all[i].quality, l->p.images->quality) && !strcmp(all[i].size, l->p.images->size)) {
			all[i].each = lite_larger(all[i].each, l->p.images->each);
			to->price.images = all;
			return 0;
		}
	all[n] = l->p.images[0];
	to->price.images = all;
	to->price.nimages = n + 1;
	return 0;
}
