#include "engine/sched.h"

#include <stdlib.h>
#include <string.h>

#include "compute/kv_blocks.h"

enum { BLOCK = COMPUTE_KV_BLOCK };

static uint32_t blocks_for(uint32_t n_positions)
{
	return (n_positions + BLOCK - 1) / BLOCK;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/* ---- what blocks hold ---- */

static uint64_t hash_at(struct sched_seq *seq, uint32_t block)
{
	for (; seq->n_hashed <= block; seq->n_hashed++) {
		uint64_t before = seq->n_hashed ? seq->hashes[seq->n_hashed - 1] : seq->root;
		seq->hashes[seq->n_hashed] = kv_hash(before, seq->ids + (size_t)seq->n_hashed * BLOCK);
	}
	return seq->hashes[block];
}

/* Ids that are there: steps under way have yet to draw the rest. */
static uint32_t n_known(const struct sched_seq *seq)
{
	return seq->n_ids - seq->n_open;
}

/* Logits of its prompt are still wanted. */
static bool wants_rows(const struct sched_seq *seq)
{
	return seq->n_shown < seq->n_rows;
}

/* Whole blocks that could be found: the last token is always computed, as something is drawn after it, and so
 * is what is to be shown. */
static uint32_t n_findable(const struct sched_seq *seq)
{
	uint32_t n = seq->hashes ? (n_known(seq) - 1) / BLOCK : 0;
	return wants_rows(seq) ? min_u32(n, seq->n_shown / BLOCK) : n;
}

/* The name of what stands before block i. */
static uint64_t name_before(const struct sched *s, const struct sched_seq *seq, uint32_t i)
{
	return i ? kv_name(s->lead, seq->leading[i - 1]) : seq->root;
}

/* The table of group g of those beside. */
static uint32_t *table_of(const struct sched *s, const struct sched_seq *seq, uint32_t g)
{
	return seq->blocks + (size_t)(s->first_beside + g) * s->pitch;
}

/* From block `from` on, before which the sequence has what it sees: the blocks that lead and are known into
 * s->found. Returns how far computing need not go. */
static uint32_t find_known(struct sched *s, struct sched_seq *seq, uint32_t from)
{
	uint32_t n = n_findable(seq);
	uint64_t before = from < n ? name_before(s, seq, from) : 0;
	struct kv_reach reach;
	kv_reach_from(&reach, from);
	for (uint32_t i = from; i < n; i++) {
		uint32_t block = kv_find(s->lead, before, hash_at(seq, i), seq->ids + (size_t)i * BLOCK);
		if (block == KV_NONE)
			break;
		s->found[i] = block;
		before = kv_name(s->lead, block);
		kv_reach_add(&reach, s->lead, block);
	}
	return reach.whole;
}

/* Gives back what lies behind the window of the first position of block i: all that is in it can still be
 * computed, and what begins there can be found. */
static void leave(struct sched *s, struct sched_seq *seq, uint32_t i)
{
	for (uint32_t g = 0; g < s->lead->n_beside; g++) {
		uint32_t *table = table_of(s, seq, g), end = kv_behind(s->lead->windows[g], i * BLOCK);
		for (; seq->n_left[g] < end; seq->n_left[g]++) {
			if (seq->n_left[g] < seq->n_blocks)
				kv_release(&s->kv, table[seq->n_left[g]]);
			table[seq->n_left[g]] = (uint32_t)COMPUTE_NO_BLOCK;
		}
	}
}

/* Takes over blocks that hold what comes next. */
static void adopt(struct sched *s, struct sched_seq *seq)
{
	uint32_t from = seq->n_done / BLOCK;
	if (seq->n_done % BLOCK || seq->n_blocks != from)
		return;
	uint32_t end = find_known(s, seq, from);
	if (end == from)
		return;
	for (uint32_t i = from; i < end; i++) {
		kv_hold(s->lead, s->found[i]);
		seq->leading[i] = s->found[i];
	}
	leave(s, seq, end);
	for (uint32_t g = 0; g < s->lead->n_beside; g++)
		for (uint32_t i = max_u32(from, seq->n_left[g]); i < end; i++) {
			uint32_t block = kv_beside(s->lead, g, s->found[i]);
			kv_hold(&s->kv, block);
			table_of(s, seq, g)[i] = block;
		}
	seq->n_blocks = seq->n_kept = end;
	seq->n_done += (end - from) * BLOCK;
	if (seq->preempted)
		return;
	seq->n_cached += (end - from) * BLOCK;
	s->counters.cache_hits += end - from;
}

/* Ids that may be computed without anything being drawn before. */
static uint32_t n_soon(const struct sched_seq *seq)
{
	return seq->n_ids - max_u32(seq->n_open, seq->held);
}

/* Is an older sequence about to compute the very block that seq needs next? One that shows what it computes
 * takes its time. */
static bool is_coming(struct sched *s, struct sched_seq *seq, uint32_t index)
{
	uint32_t i = seq->n_done / BLOCK, end = (i + 1) * BLOCK;
	if (seq->n_done % BLOCK || i >= n_findable(seq))
		return false;
	for (uint32_t k = 0; k < index; k++) {
		struct sched_seq *older = s->running[k];
		if (older->hashes && !wants_rows(older) && older->root == seq->root && older->n_done < end &&
		    n_soon(older) >= end && hash_at(older, i) == hash_at(seq, i))
			return true;
	}
	return false;
}

static void keep_full_blocks(struct sched *s, struct sched_seq *seq)
{
	if (!seq->hashes)
		return;
	for (; (seq->n_kept + 1) * BLOCK <= min_u32(seq->n_done, n_known(seq)); seq->n_kept++) {
		uint32_t i = seq->n_kept;
		seq->leading[i] = kv_keep(s->lead, seq->leading[i], name_before(s, seq, i), hash_at(seq, i),
					  seq->ids + (size_t)i * BLOCK);
		for (uint32_t g = 0; g < s->lead->n_beside; g++) {
			uint32_t *block = &table_of(s, seq, g)[i];
			if (i >= seq->n_left[g])
				*block = kv_keep_beside(s->lead, g, *block, seq->leading[i]);
		}
	}
}

/* ---- who runs ---- */

static uint32_t less(uint32_t a, uint32_t b)
{
	return a > b ? a - b : 0;
}

/* What a sequence with all of its present ids in holds of a window's group, or of one that sees all (0), as
 * long as it goes on token by token; *more: what it holds beside, at most, while they come in. */
static uint32_t n_needed(const struct sched *s, const struct sched_seq *seq, uint32_t window, uint32_t *more)
{
	uint32_t all = blocks_for(seq->n_ids), most = kv_blocks_most(window, s->n_ctx, 1);
	*more += min_u32(less(all, most), less(all, seq->n_done / BLOCK + 1));
	return min_u32(all, most);
}

/* New tokens of a step take so many blocks of a group, in all, beside those that windows show. */
static uint32_t n_of_step(const struct sched *s, uint32_t more)
{
	return min_u32(more, s->n_batch / SCHED_MIN_PROMPT);
}

uint64_t sched_promised(const struct sched *s)
{
	uint32_t more[MODEL_MAX_KV_GROUPS] = {0}, none = 0;
	uint64_t n = 0;
	for (uint32_t i = 0; i < s->n_running; i++) {
		const struct sched_seq *seq = s->running[i];
		if (s->first_beside)
			n += less(n_needed(s, seq, 0, &none) + 1, seq->n_blocks);
		for (uint32_t g = 0; g < s->lead->n_beside; g++)
			n += less(n_needed(s, seq, s->lead->windows[g], &more[g]) + 1,
				  less(seq->n_blocks, seq->n_left[g]));
	}
	for (uint32_t g = 0; g < s->lead->n_beside; g++)
		n += n_of_step(s, more[g]);
	return n;
}

/* Is there somebody who holds it, so that it takes no free block? */
static uint32_t is_held(const struct kv_pool *p, uint32_t block)
{
	return block != KV_NONE && p->blocks[block].n_held > 0;
}

/* Free blocks that seq would take: those it would share with somebody are none. */
static uint64_t n_wanted(struct sched *s, struct sched_seq *seq)
{
	uint32_t known = find_known(s, seq, 0), more = 0;
	uint64_t n = 0;
	if (s->first_beside)
		n += n_needed(s, seq, 0, &more);
	for (uint32_t i = 0; i < known && s->first_beside; i++)
		n -= is_held(&s->kv, s->found[i]);
	for (uint32_t g = 0; g < s->lead->n_beside; g++) {
		uint32_t window = s->lead->windows[g];
		more = 0;
		n += n_needed(s, seq, window, &more);
		n += n_of_step(s, more);
		for (uint32_t i = kv_behind(window, (seq->n_ids - 1) / BLOCK * BLOCK); i < known; i++)
			n -= is_held(&s->kv, kv_beside(s->lead, g, s->found[i]));
	}
	return n;
}

/* Nobody is let in only to be sent away: there is room for its ids, and for the next block of each that runs.
 */
static bool has_room(struct sched *s, struct sched_seq *seq)
{
	if (s->n_running == 0)
		return true;
	uint64_t promised = sched_promised(s);
	return s->kv.n_free >= promised && s->kv.n_free - promised >= n_wanted(s, seq);
}

static void let_in(struct sched *s, struct sched_seq *seq)
{
	uint32_t i = s->n_running++;
	turns_let_in(&s->waiting, seq);
	for (; i > 0 && s->running[i - 1]->order > seq->order; i--)
		s->running[i] = s->running[i - 1];
	s->running[i] = seq;
	seq->slot = s->slots[s->n_seqs - s->n_running];
	seq->blocks = s->tables + (size_t)seq->slot * s->n_tables * s->pitch;
	seq->leading = seq->blocks + (size_t)(s->first_beside ? 0 : s->n_groups) * s->pitch;
	seq->state = SCHED_RUNNING;
	if (!seq->preempted)
		s->counters.cache_queries += n_findable(seq);
}

static void admit(struct sched *s)
{
	while (s->n_running < s->n_seqs) {
		struct sched_seq *seq = turns_first(&s->waiting);
		if (!seq || !has_room(s, seq))
			return;
		let_in(s, seq);
	}
}

/* It waits, as one that is new or, if it was preempted, as one that had its turn. */
static void let_wait(struct sched *s, struct sched_seq *seq)
{
	turns_add(&s->waiting, seq);
	seq->state = SCHED_WAITING;
}

/* From the last on. */
static void release_all(struct sched *s, struct sched_seq *seq)
{
	while (seq->n_blocks > 0) {
		uint32_t i = --seq->n_blocks;
		for (uint32_t g = 0; g < s->lead->n_beside; g++)
			if (i >= seq->n_left[g])
				kv_release(&s->kv, table_of(s, seq, g)[i]);
		kv_release(s->lead, seq->leading[i]);
	}
	memset(seq->n_left, 0, sizeof seq->n_left);
}

/* Out of its place; its blocks are released. */
static void let_out(struct sched *s, struct sched_seq *seq)
{
	uint32_t i = 0;
	turns_let_out(&s->waiting, seq);
	release_all(s, seq);
	while (s->running[i] != seq)
		i++;
	s->n_running--;
	memmove(s->running + i, s->running + i + 1, (s->n_running - i) * sizeof(struct sched_seq *));
	s->slots[s->n_seqs - s->n_running - 1] = seq->slot;
	seq->n_done = seq->n_new = seq->n_kept = 0;
	seq->blocks = seq->leading = NULL;
	seq->state = SCHED_OUT;
}

static void preempt(struct sched *s, struct sched_seq *seq)
{
	let_out(s, seq);
	seq->preempted = true;
	s->counters.preempted++;
	let_wait(s, seq);
}

/* The next block in every group; false: there are not so many free. */
static bool take_blocks(struct sched *s, struct sched_seq *seq)
{
	if (s->kv.n_free < s->n_groups || !s->lead->n_free)
		return false;
	seq->leading[seq->n_blocks] = kv_take(s->lead);
	for (uint32_t g = 0; g < s->lead->n_beside; g++)
		table_of(s, seq, g)[seq->n_blocks] = kv_take(&s->kv);
	seq->n_blocks++;
	return true;
}

/* Blocks for seq's new tokens; whoever came later makes room. False: seq itself had to. */
static bool make_room(struct sched *s, struct sched_seq *seq)
{
	uint32_t n = blocks_for(seq->n_done + seq->n_new);
	while (seq->n_blocks < n) {
		if (take_blocks(s, seq))
			continue;
		struct sched_seq *youngest = s->running[s->n_running - 1];
		preempt(s, youngest);
		if (youngest == seq)
			return false;
	}
	return true;
}

/* ---- the step ---- */

/* Its last id is being drawn: nothing comes after it. */
static bool is_full(const struct sched_seq *seq)
{
	return seq->n_ids >= seq->n_most;
}

/* Ids that may go into a step now. */
static uint32_t n_ready(const struct sched_seq *seq)
{
	return seq->n_ids - seq->n_done - seq->held;
}

/* Up to n tokens more of what is left, n_rows of them at most if they are to be shown; those that were before
 * come in a step of their own. */
static void give(struct sched *s, struct sched_seq *seq, uint32_t n, uint32_t n_rows, uint32_t *left)
{
	uint32_t take = min_u32(min_u32(n, *left), n_ready(seq) - seq->n_new);
	if (sched_shows(seq)) {
		take = min_u32(take, n_rows);
		s->rows_left -= take;
	} else if (wants_rows(seq)) {
		take = min_u32(take, seq->n_shown - seq->n_done - seq->n_new);
	}
	seq->n_new += take;
	*left -= take;
}

/* How many older prompts of its owner go before each. Returns how many ranks there are. */
static uint32_t rank_prompts(struct sched *s)
{
	uint32_t n_ranks = 0;
	for (uint32_t i = 0; i < s->n_running; i++)
		s->waiting.owners[s->running[i]->owner].n_ranked = 0;
	for (uint32_t i = 0; i < s->n_running; i++) {
		struct sched_seq *seq = s->running[i];
		if (seq->n_new || is_full(seq) || n_ready(seq) == 0)
			continue;
		seq->rank = s->waiting.owners[seq->owner].n_ranked++;
		n_ranks = max_u32(n_ranks, seq->rank + 1);
	}
	return n_ranks;
}

/* Halves of what is left, to the oldest prompt of each owner, then to the second of each ... */
static void share_in_turn(struct sched *s, uint32_t *left)
{
	uint32_t n_ranks = rank_prompts(s);
	for (uint32_t rank = 0; rank < n_ranks && *left; rank++)
		for (uint32_t i = 0; i < s->n_running; i++) {
			struct sched_seq *seq = s->running[i];
			if (seq->n_new || is_full(seq) || n_ready(seq) == 0 || seq->rank != rank ||
			    is_coming(s, seq, i))
				continue;
			give(s, seq, max_u32(*left / 2, SCHED_MIN_PROMPT), (s->rows_left + 1) / 2, left);
		}
}

static void share_budget(struct sched *s, uint32_t budget)
{
	uint32_t n_decoding = 0;
	s->rows_left = SCHED_MAX_ROWS;
	for (uint32_t i = 0; i < s->n_running; i++) {
		struct sched_seq *seq = s->running[i];
		adopt(s, seq);
		seq->n_new = seq->n_ids - seq->n_done == 1 && !seq->held && !is_full(seq);
		n_decoding += seq->n_new;
	}
	uint32_t left = budget > n_decoding ? budget - n_decoding : 0;
	left = min_u32(max_u32(left, min_u32(budget, SCHED_MIN_PROMPT)), s->n_batch - n_decoding);
	share_in_turn(s, &left);
	for (uint32_t i = 0; i < s->n_running && left; i++) {
		struct sched_seq *seq = s->running[i];
		if (seq->n_new && seq->n_ids - seq->n_done > 1)
			give(s, seq, left, s->rows_left, &left);
	}
}

/* Once, before anything is computed for it. */
static void explain(const struct sched *s, struct sched_seq *seq)
{
	if (!seq->miss || seq->miss->why != CACHE_MISS_NOT_ASKED)
		return;
	*seq->miss = seq->hashes && !seq->n_rows ? cache_explain(s->lead, seq->root, seq->ids, seq->n_prompt)
						 : (struct cache_miss){.why = CACHE_MISS_OFF};
}

uint32_t sched_plan(struct sched *s, uint32_t budget, struct sched_seq **out)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < s->n_running; i++)
		leave(s, s->running[i], s->running[i]->n_done / BLOCK);
	admit(s);
	share_budget(s, budget);
	for (uint32_t i = 0; i < s->n_running; i++) {
		struct sched_seq *seq = s->running[i];
		if (!seq->n_new || !make_room(s, seq))
			continue;
		explain(s, seq);
		out[n++] = seq;
		if (seq->n_done + seq->n_new <= seq->n_prompt || seq->n_new > 1)
			s->counters.prompt_tokens_computed += seq->n_new;
	}
	s->counters.steps += n > 0;
	s->counters.step_sequences += n;
	s->counters.cache_evictions = s->kv.n_evicted;
	return n;
}

void sched_advance(struct sched *s, struct sched_seq *seq)
{
	bool draws = sched_draws(seq);
	seq->n_done += seq->n_new;
	seq->n_new = 0;
	if (seq->n_done > seq->n_shown)
		seq->n_shown = min_u32(seq->n_done, seq->n_rows);
	if (draws) {
		seq->ids[seq->n_ids++] = -1;
		seq->n_open++;
	}
	keep_full_blocks(s, seq);
}

void sched_fill(struct sched *s, struct sched_seq *seq, int32_t token)
{
	seq->ids[seq->n_ids - seq->n_open--] = token;
	if (seq->state == SCHED_RUNNING)
		keep_full_blocks(s, seq);
}

void sched_append(struct sched_seq *seq, int32_t token)
{
	seq->ids[seq->n_ids++] = token;
}

void sched_limit(struct sched *s, uint32_t owner, uint32_t n)
{
	s->waiting.owners[owner].max_running = n;
}

void sched_add(struct sched *s, struct sched_seq *seq)
{
	seq->order = ++s->last_order;
	seq->n_new = seq->n_done = seq->n_blocks = seq->n_cached = seq->n_hashed = 0;
	seq->n_kept = seq->n_open = seq->n_shown = 0;
	memset(seq->n_left, 0, sizeof seq->n_left);
	seq->preempted = false;
	seq->blocks = seq->leading = NULL;
	let_wait(s, seq);
}

void sched_remove(struct sched *s, struct sched_seq *seq)
{
	if (seq->state == SCHED_WAITING)
		turns_remove(&s->waiting, seq);
	else if (seq->state == SCHED_RUNNING)
		let_out(s, seq);
	seq->state = SCHED_OUT;
}

void sched_forget(struct sched *s)
{
	kv_forget(s->lead);
}

/* Where all groups have windows, what leads has a block for each that a table names, also of a chain
 * (chain.h), and for each that can be found. */
static bool init_pools(struct sched *s, const struct sched_params *p)
{
	uint64_t n_names = (uint64_t)(s->n_seqs + 1) * s->pitch + p->n_blocks;
	s->first_beside = p->windows[0] == 0;
	s->lead = s->first_beside ? &s->kv : &s->names;
	return kv_init(&s->kv, p->n_blocks) && n_names < KV_NONE &&
	       (s->first_beside || kv_init(&s->names, (uint32_t)n_names)) &&
	       kv_init_beside(s->lead, p->windows + s->first_beside, s->n_groups - s->first_beside, &s->kv);
}

bool sched_init(struct sched *s, const struct sched_params *p)
{
	*s = (struct sched){
		.n_seqs = p->n_seqs,
		.n_ctx = p->n_ctx,
		.n_batch = p->n_batch,
		.n_groups = p->n_groups,
		.pitch = blocks_for(p->n_ctx),
	};
	bool room = init_pools(s, p);
	s->n_tables = s->n_groups + 1 - s->first_beside;
	s->tables = calloc((size_t)s->n_seqs * s->n_tables * s->pitch, sizeof *s->tables);
	s->found = calloc(s->pitch, sizeof *s->found);
	s->slots = calloc(s->n_seqs, sizeof *s->slots);
	s->running = calloc(s->n_seqs, sizeof(struct sched_seq *));
	room = turns_init(&s->waiting, p->n_owners + 1) && room;
	if (!room || !s->tables || !s->found || !s->slots || !s->running)
		return false;
	for (uint32_t i = 0; i < s->n_seqs; i++)
		s->slots[i] = s->n_seqs - 1 - i;
	return true;
}

void sched_deinit(struct sched *s)
{
	kv_deinit(&s->kv);
	kv_deinit(&s->names);
	turns_deinit(&s->waiting);
	free(s->tables);
	free(s->found);
	free(s->slots);
	free(s->running);
	*s = (struct sched){0};
}
