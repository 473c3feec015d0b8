//! The probability adaptation process (8.4).

use super::probabilities::{Counts, MvCounts, MvProbabilities, Probabilities};
use super::tables::{
    INTER_MODE_TREE, INTERP_FILTER_TREE, INTRA_MODE_TREE, MV_CLASS_TREE, MV_FR_TREE, MV_JOINT_TREE, PARTITION_TREE,
};

/// How far, and after how many symbols, a probability moves towards what was counted.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    count_sat: u32,
    max_update_factor: u32,
}

impl Rate {
    const MODES: Self = Self { count_sat: 20, max_update_factor: 128 };

    /// The rate of coefficients (8.4.3).
    pub fn of_coefficients(frame_is_intra: bool, last_frame_is_key: bool) -> Self {
        let max_update_factor = if !frame_is_intra && last_frame_is_key { 128 } else { 112 };
        Self { count_sat: 24, max_update_factor }
    }

    /// `merge_prob` (8.4.2).
    fn merge(self, pre_prob: u8, counts: [u32; 2]) -> u8 {
        let den = counts[0].saturating_add(counts[1]);
        if den == 0 {
            return pre_prob;
        }
        let prob = ((u64::from(counts[0]) * 256 + u64::from(den >> 1)) / u64::from(den)).clamp(1, 255) as u32;
        let factor = self.max_update_factor * den.min(self.count_sat) / self.count_sat;
        ((u32::from(pre_prob) * (256 - factor) + prob * factor + 128) >> 8) as u8
    }
}

/// `merge_probs` (8.4.2): sets `probs` from the earlier ones and the counts of a tree's values.
fn merge_tree(tree: &[i8], pre_probs: &[u8], counts: &[u32], probs: &mut [u8]) {
    fn merge_node(tree: &[i8], node: usize, pre_probs: &[u8], counts: &[u32], probs: &mut [u8]) -> u32 {
        let mut branch = |next: i8| {
            if next <= 0 {
                counts[usize::from(next.unsigned_abs())]
            } else {
                merge_node(tree, next as usize, pre_probs, counts, probs)
            }
        };
        let branches = [branch(tree[node]), branch(tree[node + 1])];
        probs[node >> 1] = Rate::MODES.merge(pre_probs[node >> 1], branches);
        branches[0] + branches[1]
    }
    merge_node(tree, 0, pre_probs, counts, probs);
}

fn merge_bool(prob: &mut u8, pre_prob: u8, counts: [u32; 2]) {
    *prob = Rate::MODES.merge(pre_prob, counts);
}

/// The coefficient probability adaptation process (8.4.3).
pub fn adapt_coef_probs(probs: &mut Probabilities, pre: &Probabilities, counts: &Counts, rate: Rate) {
    for tx_size in 0..4 {
        let probs = probs.coef[tx_size].as_flattened_mut().as_flattened_mut().as_flattened_mut();
        let pre = pre.coef[tx_size].as_flattened().as_flattened().as_flattened();
        let counts = counts.coef[tx_size].as_flattened().as_flattened().as_flattened();
        for ((probs, pre), &[zero, one, more, no_more_coefs, asked]) in probs.iter_mut().zip(pre).zip(counts) {
            probs[0] = rate.merge(pre[0], [no_more_coefs, asked - no_more_coefs]);
            probs[1] = rate.merge(pre[1], [zero, one + more]);
            probs[2] = rate.merge(pre[2], [one, more]);
        }
    }
}

/// What of the non-coefficient probabilities a frame's headers let it adapt.
#[derive(Debug, Clone, Copy)]
pub struct Adapted {
    pub interp_filter: bool,
    pub tx: bool,
    pub high_precision_mv: bool,
}

/// The non coefficient adaptation process (8.4.4).
pub fn adapt_noncoef_probs(probs: &mut Probabilities, pre: &Probabilities, counts: &Counts, adapted: Adapted) {
    for i in 0..4 {
        merge_bool(&mut probs.is_inter[i], pre.is_inter[i], counts.is_inter[i]);
        merge_tree(&INTRA_MODE_TREE, &pre.y_mode[i], &counts.y_mode[i], &mut probs.y_mode[i]);
    }
    for i in 0..5 {
        merge_bool(&mut probs.comp_mode[i], pre.comp_mode[i], counts.comp_mode[i]);
        merge_bool(&mut probs.comp_ref[i], pre.comp_ref[i], counts.comp_ref[i]);
        for j in 0..2 {
            merge_bool(&mut probs.single_ref[i][j], pre.single_ref[i][j], counts.single_ref[i][j]);
        }
    }
    for i in 0..7 {
        merge_tree(&INTER_MODE_TREE, &pre.inter_mode[i], &counts.inter_mode[i], &mut probs.inter_mode[i]);
    }
    for i in 0..10 {
        merge_tree(&INTRA_MODE_TREE, &pre.uv_mode[i], &counts.uv_mode[i], &mut probs.uv_mode[i]);
    }
    for i in 0..16 {
        merge_tree(&PARTITION_TREE, &pre.partition[i], &counts.partition[i], &mut probs.partition[i]);
    }
    for i in 0..3 {
        merge_bool(&mut probs.skip[i], pre.skip[i], counts.skip[i]);
    }
    if adapted.interp_filter {
        for i in 0..4 {
            let (pre, counts) = (&pre.interp_filter[i], &counts.interp_filter[i]);
            merge_tree(&INTERP_FILTER_TREE, pre, counts, &mut probs.interp_filter[i]);
        }
    }
    if adapted.tx {
        adapt_tx_probs(probs, pre, counts);
    }
    merge_tree(&MV_JOINT_TREE, &pre.mv_joint, &counts.mv_joint, &mut probs.mv_joint);
    for i in 0..2 {
        adapt_mv_probs(&mut probs.mv[i], &pre.mv[i], &counts.mv[i], adapted.high_precision_mv);
    }
}

/// A transform size is coded in unary: each probability tells one size from all larger ones.
fn adapt_tx_probs(probs: &mut Probabilities, pre: &Probabilities, counts: &Counts) {
    fn merge_unary(probs: &mut [u8], pre: &[u8], counts: &[u32]) {
        for (i, prob) in probs.iter_mut().enumerate() {
            merge_bool(prob, pre[i], [counts[i], counts[i + 1..].iter().sum()]);
        }
    }
    for i in 0..2 {
        merge_unary(&mut probs.tx_8x8[i], &pre.tx_8x8[i], &counts.tx_8x8[i]);
        merge_unary(&mut probs.tx_16x16[i], &pre.tx_16x16[i], &counts.tx_16x16[i]);
        merge_unary(&mut probs.tx_32x32[i], &pre.tx_32x32[i], &counts.tx_32x32[i]);
    }
}

fn adapt_mv_probs(probs: &mut MvProbabilities, pre: &MvProbabilities, counts: &MvCounts, high_precision: bool) {
    merge_bool(&mut probs.sign, pre.sign, counts.sign);
    merge_tree(&MV_CLASS_TREE, &pre.classes, &counts.classes, &mut probs.classes);
    merge_bool(&mut probs.class0_bit[0], pre.class0_bit[0], counts.class0_bit);
    for i in 0..10 {
        merge_bool(&mut probs.bits[i], pre.bits[i], counts.bits[i]);
    }
    for i in 0..2 {
        merge_tree(&MV_FR_TREE, &pre.class0_fr[i], &counts.class0_fr[i], &mut probs.class0_fr[i]);
    }
    merge_tree(&MV_FR_TREE, &pre.fr, &counts.fr, &mut probs.fr);
    if high_precision {
        merge_bool(&mut probs.class0_hp, pre.class0_hp, counts.class0_hp);
        merge_bool(&mut probs.hp, pre.hp, counts.hp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_move_towards_the_counts_and_stay_in_range() {
        let rate = Rate::of_coefficients(true, false);
        assert_eq!(rate.merge(77, [0, 0]), 77);
        assert_eq!(rate.merge(128, [24, 0]), 184); // (128 * 144 + 255 * 112 + 128) >> 8
        assert_eq!(Rate::MODES.merge(1, [0, 1000]), 1);
        assert_eq!(Rate::MODES.merge(255, [1000, 0]), 255);
        assert_eq!(Rate::MODES.merge(100, [1, 0]), 104); // (100 * 250 + 255 * 6 + 128) >> 8
    }

    #[test]
    fn a_trees_nodes_count_the_values_below_them() {
        let mut probs = [0; 3];
        merge_tree(&PARTITION_TREE, &[128; 3], &[20, 10, 5, 5], &mut probs);
        assert_eq!(probs, [128, 128, 128]);
        merge_tree(&PARTITION_TREE, &[128; 3], &[0, 0, 0, 40], &mut probs);
        assert_eq!(probs, [65, 65, 65]);
    }
}
